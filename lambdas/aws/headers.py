"""Reads the headers of a batch of uploads ahead, several at once: one after the other, they would slow a burst down."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from lambdas.model.events import Upload
from lambdas.model.video_header import VideoHeader

HeaderOf = Callable[[Upload], VideoHeader | None]
"""Reads an upload's header; None if it can't be read now."""

AT_ONCE = 8  # boto3's clients keep ten connections


@contextmanager
def read_ahead(uploads: Sequence[Upload], read: HeaderOf) -> Iterator[HeaderOf]:
    """What gives each of `uploads` its header, which `read` reads ahead; one alone is read when it is wanted.

    What is still being read when the block ends is waited for, and what is not begun is left.
    """
    if len(uploads) < 2:
        yield read
        return
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="header") as pool:
        ahead = {upload: pool.submit(read, upload) for upload in uploads}
        try:
            yield lambda upload: ahead[upload].result()
        finally:
            for future in ahead.values():
                future.cancel()

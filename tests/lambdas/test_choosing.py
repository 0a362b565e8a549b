"""Which analyses an upload gets: the uploader's words, else the longest route, else the default."""

import json
import re
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from lambdas.aws.upload_choice import Chooser
from lambdas.model.analyses import CATALOGUE, analysis_named
from lambdas.model.errors import AccountFault, Gone
from lambdas.model.events import Upload
from lambdas.model.parameter_types import WrongAnalysis
from lambdas.model.routing import Choice, Route, Rules, WrongChoice, understood
from tests.fake_aws import World, world as make_world

LABELS = {"label-detection": {"MinConfidence": 50, "SortBy": "TIMESTAMP", "AggregateBy": "TIMESTAMPS"}}
FACES = {"face-detection": {"FaceAttributes": "DEFAULT"}}
TAG = re.compile(r"[A-Za-z0-9 +\-=._:/@]{0,256}")


def routes(**analyses: Any) -> str:
    return json.dumps([{"prefix": prefix.replace("_", "/"), "analyses": chosen} for prefix, chosen in analyses.items()])


def analyses_of(world: World, key: str) -> set[str]:
    return {job["analysis"] for job in world.jobs() if job["key"] == key}


class TestRoutes:
    def test_the_longest_prefix_wins(self) -> None:
        rules = Rules(FACES, (Route("ads/", {}), Route("ads/new/", LABELS), Route("a", FACES)))

        assert rules.for_key("ads/new/x.mp4") == LABELS
        assert rules.for_key("ads/x.mp4") == {}
        assert rules.for_key("another.mp4") == FACES
        assert rules.for_key("x/ads/new/x.mp4") == FACES

    def test_an_upload_gets_what_its_route_says(self) -> None:
        with make_world(ROUTES=routes(ads_={"label-detection": {"MinConfidence": 80}, "text-detection": {}})) as world:
            world.drop("ads/x.mp4")
            world.drop("x.mp4")
            world.settle()

            assert analyses_of(world, "ads/x.mp4") == {"label-detection", "text-detection"}
            assert analyses_of(world, "x.mp4") == {"face-detection"}
            assert world.result("results/ads/x.mp4/label-detection.json")["JobStatus"] == "SUCCEEDED"

    def test_a_route_to_nothing_ignores_the_upload_and_says_so(
        self, log_lines: Callable[[], list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with make_world(ROUTES=routes(drafts_={})) as world:
            world.drop("drafts/x.mp4")

            assert world.jobs() == []
            assert [line["message"] for line in log_lines()] == ["ignored: no analysis is chosen for it"]
            assert json.loads(capsys.readouterr().out)["UploadsIgnored"] == [1]


class TestWords:
    @pytest.mark.parametrize(
        ("text", "means"),
        [
            ("label-detection", {"label-detection": {}}),
            ("label-detection:MinConfidence=80", {"label-detection": {"MinConfidence": 80}}),
            (
                " label-detection:MinConfidence=80.5:AggregateBy=SEGMENTS   face-detection:FaceAttributes=ALL ",
                {
                    "label-detection": {"MinConfidence": 80.5, "AggregateBy": "SEGMENTS"},
                    "face-detection": {"FaceAttributes": "ALL"},
                },
            ),
            ("face-detection, text-detection", {"face-detection": {}, "text-detection": {}}),
            (
                "segment-detection:SegmentTypes=SHOT+TECHNICAL_CUE:Filters.ShotFilter.MinSegmentConfidence=60"
                ":Filters.TechnicalCueFilter.BlackFrame.MaxPixelThreshold=0.1",
                {
                    "segment-detection": {
                        "SegmentTypes": ["SHOT", "TECHNICAL_CUE"],
                        "Filters": {
                            "ShotFilter": {"MinSegmentConfidence": 60},
                            "TechnicalCueFilter": {"BlackFrame": {"MaxPixelThreshold": 0.1}},
                        },
                    }
                },
            ),
            (
                "label-detection:Settings.GeneralLabels.LabelInclusionFilters=Car+Bicycle",
                {"label-detection": {"Settings": {"GeneralLabels": {"LabelInclusionFilters": ["Bicycle", "Car"]}}}},
            ),
            ("face-search:CollectionId=our_staff-1.2", {"face-search": {"CollectionId": "our_staff-1.2"}}),
        ],
    )
    def test_a_choice_fits_a_tag_and_means_what_json_says(self, text: str, means: dict[str, Any]) -> None:
        assert understood(text) == understood(json.dumps(means))
        assert TAG.fullmatch(text.replace(",", ""))

    def test_a_value_begins_at_the_first_equals_sign(self) -> None:
        with pytest.raises(WrongAnalysis, match=r"MinConfidence.*5=5"):
            understood("label-detection:MinConfidence=5=5")

    def test_json_may_stand_behind_spaces(self) -> None:
        assert list(understood('\n {"label-detection": {}}')) == ["label-detection"]

    def test_none_is_a_choice(self) -> None:
        assert understood("none") == understood("{}") == {}

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "names no analysis; 'none' would mean none"),
            ("labels", "there is no analysis 'labels'"),
            ("label-detection label-detection", "named twice"),
            ("label-detection:MinConfidence", "'MinConfidence' is no Parameter=value"),
            ("label-detection:MinConfidense=5", "no parameter 'MinConfidense'; did you mean 'MinConfidence'?"),
            ("label-detection:MinConfidence=high", "'high'; it takes a number from 0 to 100"),
            ("label-detection:MinConfidence.Very=5", "no parameter 'MinConfidence.Very'; it takes none"),
            ("label-detection:Settings=5", "given one by one: label-detection: Settings.GeneralLabels=..."),
            ("text-detection:Filters.RegionsOfInterest=5", "in a tag its members are given one by one"),
            ("segment-detection", "needs SegmentTypes"),
            ("none face-detection", "there is no analysis 'none'"),
            ('{"label-detection": {}', "that is no JSON"),
            ('{"label-detection": []}', "parameters are an object"),
        ],
    )
    def test_wrong_words_are_refused_with_what_would_do(self, text: str, says: str) -> None:
        with pytest.raises(WrongAnalysis, match=re.escape(says)):
            understood(text)

    @pytest.mark.parametrize("analysis", CATALOGUE.values(), ids=list(CATALOGUE))
    def test_json_takes_every_parameter(self, analysis) -> None:
        given = analysis.parameters(analysis.example)

        assert understood(json.dumps({analysis.name: given})) == {analysis.name: given}


class TestUploaders:
    def test_metadata_asks_for_several_analyses_which_are_several_jobs(self, world: World) -> None:
        world.drop(
            "x.mp4", analyses="label-detection:MinConfidence=80 segment-detection:SegmentTypes=SHOT text-detection"
        )
        world.settle()

        jobs = {job["analysis"]: job for job in world.jobs()}
        assert set(jobs) == {"label-detection", "segment-detection", "text-detection"}
        assert json.loads(jobs["label-detection"]["parameters"])["MinConfidence"] == 80
        assert {job["state"] for job in jobs.values()} == {"SUCCEEDED"}
        assert len({job["rekognition_job_id"] for job in jobs.values()}) == 3
        assert {key for key in world.results() if key.startswith("results/")} == {
            f"results/x.mp4/{name}.json" for name in jobs
        }

    def test_tags_do_the_same(self, world: World) -> None:
        record = world.upload("x.mp4")
        tags = [{"Key": "owner", "Value": "me"}, {"Key": "analyses", "Value": "text-detection"}]
        world.s3.put_object_tagging(Bucket="videos", Key="x.mp4", Tagging={"TagSet": tags})

        world.hear(record)

        assert analyses_of(world, "x.mp4") == {"text-detection"}

    def test_metadata_comes_before_tags(self, world: World) -> None:
        record = world.upload("x.mp4", analyses="label-detection")
        tags = [{"Key": "analyses", "Value": "text-detection"}]
        world.s3.put_object_tagging(Bucket="videos", Key="x.mp4", Tagging={"TagSet": tags})

        world.hear(record)

        assert analyses_of(world, "x.mp4") == {"label-detection"}

    @pytest.mark.parametrize(
        ("where", "gets"),
        [
            ("none", "face-detection"),
            ("metadata", "label-detection"),
            ("tags", "text-detection"),
            ("both", "label-detection"),
        ],
    )
    def test_they_choose_only_where_the_operator_lets_them(self, where: str, gets: str) -> None:
        with make_world(UPLOAD_CHOICE=where) as world:
            record = world.upload("x.mp4", analyses="label-detection")
            tags = [{"Key": "analyses", "Value": "text-detection"}]
            world.s3.put_object_tagging(Bucket="videos", Key="x.mp4", Tagging={"TagSet": tags})

            world.hear(record)

            assert analyses_of(world, "x.mp4") == {gets}

    def test_an_uploader_may_want_nothing(self, world: World) -> None:
        world.drop("x.mp4", analyses="none")

        assert world.jobs() == []

    def test_an_uploader_comes_before_a_route(self) -> None:
        with make_world(ROUTES=routes(ads_={})) as world:
            world.drop("ads/x.mp4", analyses="text-detection")

            assert analyses_of(world, "ads/x.mp4") == {"text-detection"}

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("bicycles", "its metadata says analyses: 'bicycles', but there is no analysis 'bicycles'"),
            ("label-detection:MinConfidence=180", "it takes a number from 0 to 100"),
            ("face-search:CollectionId=staff", "but face-search is not allowed (allowed here: face-detection, label-"),
            ("segment-detection", "needs SegmentTypes: a list of at least 1: TECHNICAL_CUE or SHOT"),
            ("{}{}", "that is no JSON"),
        ],
    )
    def test_a_wrong_choice_is_a_rejected_job_that_says_what_is_allowed(
        self, world: World, text: str, says: str
    ) -> None:
        world.drop("x.mp4", analyses=text)
        world.tick()

        job = world.job("x.mp4")
        assert job["state"] == "REJECTED"
        assert says in job["reason"]
        assert "allowed here: face-detection, label-detection" in job["reason"]
        assert json.loads(job["parameters"]) == {"analyses": text}
        assert [a["DetailType"] for a in world.announcements] == ["Job Rejected"]
        assert world.calls == {}

    def test_the_same_wrong_choice_twice_is_one_job_and_the_right_one_after_it_starts(self, world: World) -> None:
        world.hear(*[world.upload("x.mp4", analyses="labels")] * 2)
        world.drop("x.mp4", analyses="labels")

        world.drop("x.mp4", analyses="label-detection")

        states = {job["analysis"]: job["state"] for job in world.jobs()}
        assert states == {"unknown": "REJECTED", "label-detection": "RUNNING"}
        assert len(world.jobs()) == 2

    def test_a_wrong_choice_put_back_in_line_by_hand_is_rejected_again(self, world: World) -> None:
        from lambdas import wiring

        world.drop("x.mp4", analyses="labels")
        upload = Upload("videos", "x.mp4", "etag", 1, "2026-11-22T23:57:20.123Z", "F" * 32)
        rejected = wiring.jobs().get(world.job("x.mp4")["job_id"])
        assert rejected

        assert wiring.jobs().requeue_rejected(rejected, upload)
        world.tick()

        assert world.job("x.mp4")["state"] == "REJECTED"

    def test_asking_later_for_one_more_analysis_starts_only_that(self, world: World) -> None:
        world.drop("x.mp4", analyses="label-detection")
        world.settle()

        # What a copy in place does: the same content, other metadata.
        world.drop("x.mp4", analyses="label-detection text-detection")
        world.settle()

        assert {job["analysis"]: job["state"] for job in world.jobs()} == {
            "label-detection": "SUCCEEDED",
            "text-detection": "SUCCEEDED",
        }
        assert {name: calls["ok"] for name, calls in world.calls.items() if name.startswith("Start")} == {
            "StartLabelDetection": 1,
            "StartTextDetection": 1,
        }

    def test_a_video_gone_before_it_was_asked_is_rejected_for_that(self, world: World) -> None:
        record = world.upload("x.mp4", analyses="label-detection")
        world.s3.delete_object(Bucket="videos", Key="x.mp4")

        world.hear(record)

        assert "deleted before" in world.job("x.mp4")["reason"]

    def test_words_of_the_video_that_replaced_it_are_not_taken_for_its_own(self, world: World) -> None:
        old = world.upload("x.mp4", b"old", analyses="label-detection")
        world.upload("x.mp4", b"new", analyses="text-detection")

        world.hear(old)

        assert {(job["analysis"], job["state"]) for job in world.jobs()} == {("face-detection", "REJECTED")}


class TestCollectingEach:
    @pytest.mark.parametrize("name", list(CATALOGUE))
    def test_every_analysis_comes_home_with_all_its_pages(self, name: str) -> None:
        from lambdas import wiring

        parameters = analysis_named(name).example
        with make_world(ANALYSES=json.dumps({name: parameters}), UPLOAD_CHOICE="none", ALLOWED_ANALYSES=name) as world:
            if name == "face-search":
                wiring.client("rekognition", wiring.PATIENT).create_collection(**parameters)
            world.drop("x.mp4", **{"simulate-detections": "2300"})
            world.settle()

            job = world.job("x.mp4")
            assert job["state"] == "SUCCEEDED"
            assert json.loads(job["video_metadata"])["Codec"] == "h264"
            document = world.result(f"results/x.mp4/{name}.json")
            assert len(document[analysis_named(name).detections]) == int(job["detections"])


class TestRules:
    FACES: ClassVar[Choice] = {"face-detection": {}}
    LABELS: ClassVar[Choice] = {"label-detection": {}}
    SEARCH: ClassVar[Choice] = {"face-search": {"CollectionId": "staff"}}

    def test_the_analyses_in_use_are_the_operators_and_those_an_uploader_may_choose(self) -> None:
        routes = [Route("in/", self.LABELS)]

        assert Rules(self.FACES, routes, "none", ["text-detection"]).in_use == {"face-detection", "label-detection"}
        assert Rules(self.FACES, routes, "tags", ["text-detection"]).in_use == {
            "face-detection",
            "label-detection",
            "text-detection",
        }

    def test_uploaders_choose_nothing_unless_they_are_let(self) -> None:
        assert Rules(self.FACES) == Rules(self.FACES, (), "none", ())

    @pytest.mark.parametrize(
        ("rules", "analysis", "parameters", "allowed"),
        [
            (Rules(FACES), "face-detection", {}, True),
            (Rules(FACES), "label-detection", {}, False),
            (Rules(FACES, uploads="tags", allowed=["label-detection"]), "label-detection", {}, True),
            (Rules(FACES, uploads="none", allowed=["label-detection"]), "label-detection", {}, False),
            (Rules(SEARCH), "face-search", {"CollectionId": "staff"}, True),
            (Rules(SEARCH), "face-search", {"CollectionId": "guests"}, False),
            (Rules(FACES), "face-search", {"CollectionId": "staff"}, False),
            (Rules(FACES, [Route("in/", SEARCH)]), "face-search", {"CollectionId": "staff"}, True),
            (Rules(FACES, [Route("in/", SEARCH)]), "face-search", {"CollectionId": "guests"}, False),
            (Rules(FACES, uploads="both", allowed=["face-search"]), "face-search", {"CollectionId": "guests"}, True),
        ],
    )
    def test_a_job_may_be_started_where_a_rule_or_an_uploader_may_name_it(
        self, rules: Rules, analysis: str, parameters: dict[str, Any], allowed: bool
    ) -> None:
        assert rules.allow(analysis, parameters) is allowed

    def test_what_a_wrong_choice_asked_for_is_carried_and_named(self) -> None:
        with pytest.raises(
            WrongChoice, match=r"^its tags says analyses: 'text-detection', but text-detection is not"
        ) as raised:
            Rules(self.FACES, (), "tags", ["face-detection"]).for_words("tags", "text-detection")

        assert raised.value.given == "text-detection"

    def test_words_that_cannot_be_understood_are_carried_too(self) -> None:
        with pytest.raises(WrongChoice) as raised:
            Rules(self.FACES, (), "tags", ["face-detection"]).for_words("tags", "faces")

        assert raised.value.given == "faces"


class Objects:
    """The videos as a chooser asks for them. Each answer is a value or an error."""

    def __init__(self, head: Any, tags: Any = None) -> None:
        self._head, self._tags = head, tags
        self.asked: list[tuple[Any, ...]] = []

    def head(self, *named: Any) -> Any:
        return self._answer(self._head, "head", *named)

    def ask(self, *named: Any) -> Any:
        return self._answer(self._tags, *named)

    def _answer(self, answer: Any, *named: Any) -> Any:
        self.asked.append(named)
        if isinstance(answer, Exception):
            raise answer
        return answer


def head(metadata: dict[str, str], tags: int | None = None, etag: str = "e") -> dict[str, Any]:
    headers = {} if tags is None else {"x-amz-tagging-count": str(tags)}
    return {"ETag": f'"{etag}"', "Metadata": metadata, "ResponseMetadata": {"HTTPHeaders": headers}}


def tagged(**tags: str) -> dict[str, Any]:
    return {"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]}


class TestChooser:
    ALLOWED = ("label-detection", "text-detection")

    def chosen(self, objects: Objects, where: str = "both", **changes: Any) -> list[str]:
        upload = Upload(**{"bucket": "b", "key": "k", "etag": "e", "size": 7, "uploaded_at": "", **changes})
        rules = Rules({"face-detection": {}}, (), where, self.ALLOWED)
        return list(Chooser(objects, rules).choose(upload).analyses)

    @pytest.mark.parametrize("name", ["analyses", "Analyses", "ANALYSES"])
    def test_the_name_may_be_written_in_capitals(self, name: str) -> None:
        assert self.chosen(Objects(head({"other": "x", name: "label-detection"}))) == ["label-detection"]
        assert self.chosen(Objects(None, tagged(other="x", **{name: "label-detection"})), "tags") == ["label-detection"]

    def test_other_metadata_and_tags_choose_nothing(self) -> None:
        assert self.chosen(Objects(head({"other": "none"}, 1), tagged(other="none"))) == ["face-detection"]
        assert self.chosen(Objects({"ETag": "e"})) == ["face-detection"]
        assert self.chosen(Objects(head({}, 1), {})) == ["face-detection"]

    def test_tags_are_not_asked_for_where_there_are_none_or_metadata_says_everything(self) -> None:
        untagged, said = Objects(head({})), Objects(head({"analyses": "none", "priority": "live"}, 1))

        assert self.chosen(untagged) == ["face-detection"]
        assert self.chosen(said) == []
        assert [asked[0] for asked in untagged.asked + said.asked] == ["head", "head"]

    def test_only_metadata_is_asked_for_where_tags_may_not_choose_and_the_other_way_round(self) -> None:
        by_metadata = Objects(head({}, 1), tagged(analyses="none"))
        by_tags = Objects(head({"analyses": "none"}), tagged())

        assert self.chosen(by_metadata, "metadata") == ["face-detection"]
        assert self.chosen(by_tags, "tags") == ["face-detection"]
        assert [asked[0] for asked in by_metadata.asked + by_tags.asked] == ["head", "get_object_tagging"]

    @pytest.mark.parametrize(("version", "asked"), [("v1", "v1"), ("null", None), (None, None)])
    def test_the_version_that_was_uploaded_is_asked(self, version: str | None, asked: str | None) -> None:
        objects = Objects(head({}, 1), tagged())

        self.chosen(objects, version_id=version)

        assert objects.asked == [("head", "b", "k", asked), ("get_object_tagging", "b", "k", asked)]

    def test_nothing_is_asked_where_uploaders_may_not_choose_or_the_object_is_empty(self) -> None:
        objects = Objects(head({"analyses": "none"}))

        assert self.chosen(objects, "none") == self.chosen(objects, size=0) == ["face-detection"]
        assert objects.asked == []

    def test_an_object_that_is_gone_or_replaced_says_nothing(self) -> None:
        assert self.chosen(Objects(Gone("it is gone"))) == ["face-detection"]
        assert self.chosen(Objects(head({"analyses": "none"}, etag="other"))) == ["face-detection"]

    def test_an_etag_is_compared_without_its_quotes_only(self) -> None:
        assert self.chosen(Objects(head({"analyses": "none"}, etag="X1X")), etag="X1X") == []

    @pytest.mark.parametrize(
        ("where", "objects"),
        [
            ("metadata", Objects(head({"analyses": "text"}))),
            ("tags", Objects(head({}, 1), tagged(analyses="text"))),
        ],
    )
    def test_a_wrong_choice_says_where_it_stands(self, where: str, objects: Objects) -> None:
        with pytest.raises(WrongChoice, match=f"^its {where} says analyses: 'text'"):
            self.chosen(objects)

    def test_a_right_to_read_tags_is_a_scope_of_its_own(self) -> None:
        with pytest.raises(AccountFault, match=r"no \(its tags\)") as raised:
            self.chosen(Objects(head({}, 1), AccountFault("videos", "no")))

        assert raised.value.scope == "unknown"

    def test_a_right_to_read_the_object_is_every_videos(self) -> None:
        with pytest.raises(AccountFault) as raised:
            self.chosen(Objects(AccountFault("videos", "no")))

        assert raised.value.scope == "videos"

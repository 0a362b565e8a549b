"""AWS on this machine: an emulator, a Rekognition that really looks at videos, and the stack deployed to both."""

"""What a person types: ``rekognition-batch``. The same commands on AWS and in the local cloud."""

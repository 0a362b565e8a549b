// The JavaScript SDK as a client: starts a job, waits for it, reads it page by page, and prints what it saw.
import { GetFaceDetectionCommand, RekognitionClient, StartFaceDetectionCommand } from "@aws-sdk/client-rekognition";

const [endpoint, bucket, name] = process.argv.slice(2);
const client = new RekognitionClient({
  endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
});
const { JobId } = await client.send(
  new StartFaceDetectionCommand({ Video: { S3Object: { Bucket: bucket, Name: name } }, JobTag: "from-js" }),
);
let answer;
do {
  await new Promise((resolve) => setTimeout(resolve, 100));
  answer = await client.send(new GetFaceDetectionCommand({ JobId, MaxResults: 7 }));
} while (answer.JobStatus === "IN_PROGRESS");
const faces = [...answer.Faces];
let pages = 1;
while (answer.NextToken) {
  answer = await client.send(new GetFaceDetectionCommand({ JobId, MaxResults: 7, NextToken: answer.NextToken }));
  faces.push(...answer.Faces);
  pages += 1;
}
let refusal;
try {
  await client.send(new GetFaceDetectionCommand({ JobId: "nosuchjob" }));
} catch (error) {
  refusal = error.name;
}
console.log(
  JSON.stringify({ status: answer.JobStatus, tag: answer.JobTag, times: faces.map((f) => f.Timestamp), pages, refusal }),
);

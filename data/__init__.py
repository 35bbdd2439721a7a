"""Images to train on and to measure with: well-known sets, verified when they are downloaded, and a person's own."""

"""Images to train and measure with: published sets, verified when they are downloaded, and a user's own images."""

locals {
  # The model that ships with Lakewright, with its places on S3 and its workers on other machines.
  repository = "${path.module}/../../../.."
  places = {
    "lake"           = "s3://${var.bucket}/lake"
    "data/song_data" = "s3://${var.bucket}/data/song_data"
    "data/log_data"  = "s3://${var.bucket}/data/log_data"
  }
  lake_toml = join("\n", concat(
    [for line in split("\n", file("${local.repository}/lake.toml")) :
      try("url = \"${local.places[regex("^url = \"(.*)\"$", line)[0]]}\"", line)
    ],
    ["[cluster]", "listen = \"0.0.0.0:50051\"", "min_workers = 2", "worker_timeout = \"15m\"", ""],
  ))
}

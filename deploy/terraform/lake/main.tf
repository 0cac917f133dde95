# What both kinds of machines share: buckets, what machines install, certificates, and who may do what.
#
#   storage.tf       the lake's bucket and the artifacts' bucket
#   encryption.tf    the key
#   artifacts.tf     release, bootstrap script and project in the artifacts' bucket
#   certificates.tf  mTLS between coordinator and workers
#   policies.tf      what a worker and the coordinator may do
#   vacuum.tf        the role that deletes

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.region
  dns_suffix = data.aws_partition.current.dns_suffix
  tags       = merge(var.tags, { Project = "lakewright", Deployment = var.name })

  # By name and not by reference: policies are then whole in the plan, where they can be read before they exist.
  lake_bucket_arn      = "arn:${local.partition}:s3:::${var.lake_bucket}"
  artifacts_bucket     = "${var.name}-artifacts-${local.account}-${local.region}"
  artifacts_bucket_arn = "arn:${local.partition}:s3:::${local.artifacts_bucket}"
}

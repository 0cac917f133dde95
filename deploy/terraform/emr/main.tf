# A cluster whose core and task nodes are workers, and whose step is the coordinator's run.
#
#   cluster.tf   the cluster, its nodes and its step
#   security.tf  encryption and IMDSv2
#   network.tf   EMR's security groups and ours
#   iam.tf       EMR's own role, the nodes' role, the coordinator's role

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  name      = var.lake.name
  port      = 50051
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region

  # EMR's policy of least privilege acts only on what has its tag.
  tags = merge(var.lake.tags, { "for-use-with-amazon-emr-managed-policies" = "true" })
}

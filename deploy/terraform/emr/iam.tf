# EMR gives all nodes of a cluster one instance profile, so the nodes' role is the workers', with what setting up either
# kind of machine takes. The step takes the coordinator's role for its run. That keeps a worker from committing by a
# mistake of its own; it does not keep somebody who has taken over a node from it, for the node may take the role too. On
# plain EC2 (the module `ec2`) the two are apart.

locals {
  ec2_trust = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "ec2.${data.aws_partition.current.dns_suffix}" }
        Action    = "sts:AssumeRole"
      },
    ]
  })

  node_policies = merge(
    {
      lake                = var.lake.policies.worker
      install-worker      = var.lake.policies.install_worker
      install-coordinator = var.lake.policies.install_coordinator
      node                = local.node_policy
    },
    var.session_manager ? { session-manager = local.session_manager_policy } : {},
  )

  node_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "TakeCoordinatorsRole"
        Effect   = "Allow"
        Action   = ["sts:AssumeRole"]
        Resource = ["arn:${local.partition}:iam::${local.account}:role/${local.name}-emr-coordinator"]
      },
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = ["arn:${local.partition}:s3:::${var.lake.artifacts_bucket}/logs/*"]
      },
      {
        Sid      = "UnlockDisks"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [var.lake.kms_key_arn]
      },
    ]
  })

  # AWS's own policy for Session Manager also reads every parameter, and with it keys that are not this node's.
  session_manager_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "SessionManager"
        Effect = "Allow"
        Action = [
          "ssm:UpdateInstanceInformation",
          "ssmmessages:CreateControlChannel",
          "ssmmessages:CreateDataChannel",
          "ssmmessages:OpenControlChannel",
          "ssmmessages:OpenDataChannel",
        ]
        # These actions know no resources.
        Resource = "*"
      },
    ]
  })
}

# --- nodes ---

resource "aws_iam_role" "node" {
  name               = "${local.name}-emr-node"
  description        = "Lakewright ${local.name}: nodes of the cluster, as workers"
  assume_role_policy = local.ec2_trust
  tags               = local.tags
}

resource "aws_iam_instance_profile" "node" {
  name = "${local.name}-emr-node"
  role = aws_iam_role.node.name
  tags = local.tags
}

resource "aws_iam_role_policy" "node" {
  for_each = local.node_policies

  # checkov:skip=CKV_AWS_355:the actions of Session Manager know no resources
  # checkov:skip=CKV_AWS_290:the actions of Session Manager know no resources
  name   = each.key
  role   = aws_iam_role.node.id
  policy = each.value
}

# --- coordinator ---

resource "aws_iam_role" "coordinator" {
  name        = "${local.name}-emr-coordinator"
  description = "Lakewright ${local.name}: the step that runs the coordinator"
  tags        = local.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { AWS = aws_iam_role.node.arn }
        Action    = "sts:AssumeRole"
      },
    ]
  })
}

resource "aws_iam_role_policy" "coordinator" {
  name   = "lake"
  role   = aws_iam_role.coordinator.id
  policy = var.lake.policies.coordinator
}

# --- EMR itself ---

resource "aws_iam_role" "service" {
  name        = "${local.name}-emr-service"
  description = "Lakewright ${local.name}: EMR makes and ends the cluster's machines"
  tags        = local.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "elasticmapreduce.${data.aws_partition.current.dns_suffix}" }
        Action    = "sts:AssumeRole"
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account }
          ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:elasticmapreduce:${local.region}:${local.account}:*" }
        }
      },
    ]
  })
}

# AWS's second version of it acts only on what has the tag for-use-with-amazon-emr-managed-policies.
resource "aws_iam_role_policy_attachment" "service" {
  role       = aws_iam_role.service.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2"
}

resource "aws_iam_role_policy" "service" {
  name = "cluster"
  role = aws_iam_role.service.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "GiveNodesTheirRole"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = [aws_iam_role.node.arn]
        Condition = { StringLike = { "iam:PassedToService" = "ec2.${data.aws_partition.current.dns_suffix}*" } }
      },
      {
        Sid    = "EncryptVolumes"
        Effect = "Allow"
        Action = [
          "kms:Decrypt",
          "kms:DescribeKey",
          "kms:GenerateDataKey",
          "kms:GenerateDataKeyWithoutPlaintext",
          "kms:ReEncryptFrom",
          "kms:ReEncryptTo",
        ]
        Resource = [var.lake.kms_key_arn]
      },
      {
        Sid       = "LendKeyToVolumes"
        Effect    = "Allow"
        Action    = ["kms:CreateGrant"]
        Resource  = [var.lake.kms_key_arn]
        Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
      },
      {
        # An account that never had spot instances lacks EC2's own role for them.
        Sid       = "MakeRoleForSpot"
        Effect    = "Allow"
        Action    = ["iam:CreateServiceLinkedRole"]
        Resource  = ["arn:${local.partition}:iam::${local.account}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot*"]
        Condition = { StringEquals = { "iam:AWSServiceName" = "spot.amazonaws.com" } }
      },
    ]
  })
}

# One role each. What they may do on the lake comes with `lake`; here is who takes the roles, and Session Manager.

locals {
  roles = ["coordinator", "worker"]

  # AWS's own policy for Session Manager also reads every parameter, and with it the other role's key.
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

resource "aws_iam_role" "this" {
  for_each = toset(local.roles)

  name        = "${local.name}-${each.value}"
  description = "Lakewright ${local.name}: machines that are ${each.value}"
  tags        = local.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "ec2.${data.aws_partition.current.dns_suffix}" }
        Action    = "sts:AssumeRole"
      },
    ]
  })
}

resource "aws_iam_instance_profile" "this" {
  for_each = toset(local.roles)

  name = "${local.name}-${each.value}"
  role = aws_iam_role.this[each.value].name
  tags = local.tags
}

resource "aws_iam_role_policy" "lake" {
  for_each = toset(local.roles)

  name   = "lake"
  role   = aws_iam_role.this[each.value].id
  policy = var.lake.policies[each.value]
}

resource "aws_iam_role_policy" "install" {
  for_each = toset(local.roles)

  name   = "install"
  role   = aws_iam_role.this[each.value].id
  policy = var.lake.policies["install_${each.value}"]
}

resource "aws_iam_role_policy" "session_manager" {
  for_each = toset(var.session_manager ? local.roles : [])

  # checkov:skip=CKV_AWS_355:the actions of Session Manager know no resources
  # checkov:skip=CKV_AWS_290:the actions of Session Manager know no resources
  name   = "session-manager"
  role   = aws_iam_role.this[each.value].id
  policy = local.session_manager_policy
}

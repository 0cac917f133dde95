# Who deletes takes this role, and gives it up again: `coordinator vacuum --delete` with a profile that assumes it.

resource "aws_iam_role" "vacuum" {
  name        = "${var.name}-vacuum"
  description = "Deletes files of the lake that no version needs"
  tags        = local.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { AWS = coalesce(var.vacuum_principal_arns, ["arn:${local.partition}:iam::${local.account}:root"]) }
        Action    = "sts:AssumeRole"
      },
    ]
  })
}

resource "aws_iam_role_policy" "vacuum" {
  name = "vacuum"
  role = aws_iam_role.vacuum.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "List"
        Effect    = "Allow"
        Action    = ["s3:ListBucket"]
        Resource  = [local.lake_bucket_arn]
        Condition = { StringLikeIfExists = { "s3:prefix" = [var.lake_prefix, "${var.lake_prefix}/*"] } }
      },
      {
        Sid      = "ListUploads"
        Effect   = "Allow"
        Action   = ["s3:ListBucketMultipartUploads"]
        Resource = [local.lake_bucket_arn]
      },
      {
        Sid      = "Delete"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        Resource = [local.lake_objects]
      },
      {
        Sid       = "Decrypt"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [local.kms_key_arn]
        Condition = { StringEquals = { "kms:ViaService" = ["s3.${local.region}.${local.dns_suffix}"] } }
      },
    ]
  })
}

# What a worker and the coordinator may do, as documents that the modules with machines give to their roles. Nobody of
# them deletes. Actions are written out: `coordinator` and `worker` make these requests and no others (docs/s3.md).

locals {
  lake_objects = "${local.lake_bucket_arn}/${var.lake_prefix}/*"

  # Where only the coordinator writes: versions of the lake, what they took in, Delta logs, and lists of files for readers without Delta.
  committed_objects = [
    "${local.lake_bucket_arn}/${var.lake_prefix}/_lake/manifest/*",
    "${local.lake_bucket_arn}/${var.lake_prefix}/_lake/consistent/*",
    "${local.lake_bucket_arn}/${var.lake_prefix}/_lake/ledger/*",
    "${local.lake_bucket_arn}/${var.lake_prefix}/*/_delta_log/*",
    "${local.lake_bucket_arn}/${var.lake_prefix}/*/_symlink_format_manifest/*",
  ]

  prefixes_by_bucket = merge(
    { for source in var.sources : source.bucket => source.prefix... if source.bucket != var.lake_bucket },
    { (var.lake_bucket) = concat([var.lake_prefix], [for source in var.sources : source.prefix if source.bucket == var.lake_bucket]) },
  )

  # `IfExists`, because a bucket is opened by a request without a prefix, and because S3 answers 403 and not 404 of an
  # object that is not there to whom it would not list the bucket. So the names of other objects can be seen.
  read_statements = concat(
    [for index, bucket in sort(keys(local.prefixes_by_bucket)) :
      {
        Sid       = "List${index}"
        Effect    = "Allow"
        Action    = ["s3:ListBucket"]
        Resource  = ["arn:${local.partition}:s3:::${bucket}"]
        Condition = { StringLikeIfExists = { "s3:prefix" = flatten([for prefix in sort(local.prefixes_by_bucket[bucket]) : [prefix, "${prefix}/*"]]) } }
      }
    ],
    [
      {
        Sid      = "ReadSources"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = [for source in var.sources : "arn:${local.partition}:s3:::${source.bucket}/${source.prefix}/*"]
      },
      {
        Sid      = "ReadAndWriteLake"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = [local.lake_objects]
      },
    ],
  )

  key_statements = concat(
    [
      {
        Sid       = "UseKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = [local.kms_key_arn]
        Condition = { StringEquals = { "kms:ViaService" = ["s3.${local.region}.${local.dns_suffix}", "ssm.${local.region}.${local.dns_suffix}"] } }
      },
    ],
    length(var.source_kms_key_arns) == 0 ? [] : [
      {
        Sid       = "ReadEncryptedSources"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = var.source_kms_key_arns
        Condition = { StringEquals = { "kms:ViaService" = ["s3.${local.region}.${local.dns_suffix}"] } }
      },
    ],
  )

  # Each role reads its own key and not the other's.
  certificate_arns = { for role in ["worker", "coordinator"] : role => [for parameter in ["ca", "${role}.cert", "${role}.key"] :
    "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter${local.certificates_prefix}/${parameter}"
  ] }

  install_statements = { for role, arns in local.certificate_arns : role => [
    {
      Sid    = "Install${title(role)}"
      Effect = "Allow"
      Action = ["s3:GetObject"]
      Resource = concat(
        ["${local.artifacts_bucket_arn}/${local.release_key}", "${local.artifacts_bucket_arn}/bootstrap/*"],
        role == "coordinator" ? ["${local.artifacts_bucket_arn}/project/*"] : [],
      )
    },
    {
      Sid      = "ReadCertificatesOf${title(role)}"
      Effect   = "Allow"
      Action   = ["ssm:GetParameters"]
      Resource = arns
    },
  ] }

  # `aws s3 cp --recursive` lists what it copies.
  list_project_statements = [
    {
      Sid       = "ListProject"
      Effect    = "Allow"
      Action    = ["s3:ListBucket"]
      Resource  = [local.artifacts_bucket_arn]
      Condition = { StringLike = { "s3:prefix" = ["project/*"] } }
    },
  ]

  never_commit_statements = [
    {
      Sid      = "NeverCommit"
      Effect   = "Deny"
      Action   = ["s3:PutObject"]
      Resource = local.committed_objects
    },
  ]

  catalog_statements = var.glue_database == null ? [] : [
    {
      Sid    = "FillCatalog"
      Effect = "Allow"
      Action = [
        "glue:GetDatabase", "glue:CreateDatabase", "glue:GetTable", "glue:CreateTable", "glue:UpdateTable",
        "glue:GetPartitions", "glue:BatchCreatePartition", "glue:BatchUpdatePartition", "glue:BatchDeletePartition",
      ]
      Resource = [
        "arn:${local.partition}:glue:${local.region}:${local.account}:catalog",
        "arn:${local.partition}:glue:${local.region}:${local.account}:database/${var.glue_database}",
        "arn:${local.partition}:glue:${local.region}:${local.account}:table/${var.glue_database}/*",
        # For readers without Delta (`catalog --symlinks`).
        "arn:${local.partition}:glue:${local.region}:${local.account}:database/${var.glue_database}_symlinks",
        "arn:${local.partition}:glue:${local.region}:${local.account}:table/${var.glue_database}_symlinks/*",
      ]
    },
  ]

  policies = {
    worker      = concat(local.read_statements, local.key_statements, local.never_commit_statements)
    coordinator = concat(local.read_statements, local.key_statements, local.catalog_statements)
    # Apart, because on EMR all machines are set up under one role.
    install_worker      = local.install_statements.worker
    install_coordinator = concat(local.install_statements.coordinator, local.list_project_statements)
  }
}

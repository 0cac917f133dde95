locals {
  bootstrap_file = coalesce(var.bootstrap_file, "${path.module}/../../emr/bootstrap.sh")

  release_key   = "releases/${basename(var.release_file)}"
  bootstrap_key = "bootstrap/bootstrap-${substr(filesha256(local.bootstrap_file), 0, 12)}.sh"

  project_files = toset(concat(
    tolist(fileset(var.project_directory, "models/**")),
    tolist(fileset(var.project_directory, "checks/**")),
  ))

  # Under its hash: another project is then other arguments, and with that new machines.
  project_hash = substr(sha256(join("\n", concat(
    [sha256(var.lake_toml)], [for file in sort(local.project_files) : "${file} ${filesha256("${var.project_directory}/${file}")}"]
  ))), 0, 12)
  project_prefix = "project/${local.project_hash}"

  # As bootstrap.sh takes them.
  machine_arguments = [
    "--release", "s3://${local.artifacts_bucket}/${local.release_key}",
    "--sha256", var.release_sha256,
    "--certificates", "ssm:${local.certificates_prefix}",
    "--tls-name", var.tls_name,
  ]
  coordinator_arguments = ["--project", "s3://${local.artifacts_bucket}/${local.project_prefix}/"]
}

resource "aws_s3_object" "release" {
  bucket      = aws_s3_bucket.this["artifacts"].id
  key         = local.release_key
  source      = var.release_file
  source_hash = var.release_sha256
  kms_key_id  = local.kms_key_arn
  tags        = local.tags
}

# Its key has its checksum, so that machines that start during an apply find the script that they were told.
resource "aws_s3_object" "bootstrap" {
  bucket     = aws_s3_bucket.this["artifacts"].id
  key        = local.bootstrap_key
  source     = local.bootstrap_file
  kms_key_id = local.kms_key_arn
  tags       = local.tags
}

resource "aws_s3_object" "lake_toml" {
  bucket     = aws_s3_bucket.this["artifacts"].id
  key        = "${local.project_prefix}/lake.toml"
  content    = var.lake_toml
  kms_key_id = local.kms_key_arn
  tags       = local.tags
}

resource "aws_s3_object" "project" {
  for_each = local.project_files

  bucket      = aws_s3_bucket.this["artifacts"].id
  key         = "${local.project_prefix}/${each.value}"
  source      = "${var.project_directory}/${each.value}"
  source_hash = filesha256("${var.project_directory}/${each.value}")
  kms_key_id  = local.kms_key_arn
  tags        = local.tags
}

output "lake_url" {
  description = "URL of the lake, as in lake.toml."
  value       = "s3://${var.lake_bucket}/${var.lake_prefix}"
}

output "artifacts_bucket" {
  description = "Bucket with the release, the bootstrap script, the project and the logs of clusters."
  value       = aws_s3_bucket.this["artifacts"].id
}

output "project_url" {
  description = "URL of lake.toml and the models that machines download."
  value       = "s3://${local.artifacts_bucket}/${local.project_prefix}/"
}

output "kms_key_arn" {
  description = "ARN of the key of buckets and parameters."
  value       = local.kms_key_arn
}

output "certificates_ssm_prefix" {
  description = "Prefix of the parameters that contain the certificates."
  value       = local.certificates_prefix
}

output "vacuum_role_arn" {
  description = "ARN of the role that deletes files which no version of the lake needs."
  value       = aws_iam_role.vacuum.arn
}

output "machines" {
  description = "Input `lake` of the modules with machines."
  value = {
    name             = var.name
    tags             = local.tags
    architecture     = var.architecture
    kms_key_arn      = local.kms_key_arn
    artifacts_bucket = local.artifacts_bucket
    project_prefix   = local.project_prefix
    # Nothing secret; another one when they were made anew.
    certificates_hash = local.certificates_hash
    glue_database     = var.glue_database
    bootstrap = {
      url    = "s3://${local.artifacts_bucket}/${local.bootstrap_key}"
      sha256 = filesha256(local.bootstrap_file)
    }
    arguments = {
      worker      = local.machine_arguments
      coordinator = concat(local.machine_arguments, local.coordinator_arguments)
    }
    policies = { for name, statements in local.policies : name => jsonencode({ Version = "2012-10-17", Statement = statements }) }
  }

  # Machines that start find what they install, and may read it.
  depends_on = [
    aws_s3_object.release,
    aws_s3_object.bootstrap,
    aws_s3_object.lake_toml,
    aws_s3_object.project,
    aws_ssm_parameter.certificate,
    aws_s3_bucket_policy.this,
    aws_s3_bucket_lifecycle_configuration.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
  ]
}

# Both buckets: encrypted, closed, cleaned up by themselves.

mock_provider "aws" {
  source          = "../mocks"
  override_during = plan
}

mock_provider "tls" {
  override_during = plan
}

variables {
  name              = "tests"
  tags              = { Environment = "tests" }
  lake_bucket       = "tests-lake"
  sources           = [{ bucket = "tests-source", prefix = "exports" }, { bucket = "tests-lake", prefix = "data" }]
  release_file      = "../fixtures/lakewright-0.0.0-x86_64-linux.tar.gz"
  release_sha256    = "61d60d23d3a2011c5292c873faf3963c6db58b5a0c4ea6a6b53f68a3a205bf2b"
  bootstrap_file    = "../fixtures/lake.toml"
  project_directory = "../fixtures"
  lake_toml         = <<-TOML
    [lake]
    url = "s3://tests-lake/lake"
    [cluster]
    listen = "0.0.0.0:50051"
  TOML
}

run "buckets_are_encrypted_with_the_key" {
  command = plan

  assert {
    condition     = alltrue([for bucket in aws_s3_bucket_server_side_encryption_configuration.this : alltrue([for rule in bucket.rule : rule.bucket_key_enabled && alltrue([for by in rule.apply_server_side_encryption_by_default : by.sse_algorithm == "aws:kms" && by.kms_master_key_id == aws_kms_key.this[0].arn])])])
    error_message = "Both buckets are encrypted with the key."
  }

  assert {
    condition     = length(aws_s3_bucket_server_side_encryption_configuration.this) == 2
    error_message = "There are two buckets."
  }

  assert {
    condition     = aws_kms_key.this[0].enable_key_rotation
    error_message = "The key rotates."
  }
}

run "buckets_are_closed_to_the_public" {
  command = plan

  assert {
    condition     = length(aws_s3_bucket_public_access_block.this) == 2 && alltrue([for block in aws_s3_bucket_public_access_block.this : block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets])
    error_message = "All four blocks are on."
  }

  assert {
    condition     = alltrue([for bucket in aws_s3_bucket_ownership_controls.this : bucket.rule[0].object_ownership == "BucketOwnerEnforced"])
    error_message = "No access lists."
  }
}

run "buckets_take_tls_only" {
  command = plan

  assert {
    condition     = length(aws_s3_bucket_policy.this) == 2 && alltrue([for bucket in aws_s3_bucket_policy.this : anytrue([for statement in jsondecode(bucket.policy).Statement : statement.Effect == "Deny" && statement.Principal == "*" && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false" && length(statement.Resource) == 2])])
    error_message = "Requests without TLS are denied, of the bucket and of its objects."
  }

  assert {
    condition     = alltrue([for bucket in aws_s3_bucket_policy.this : alltrue([for statement in jsondecode(bucket.policy).Statement : statement.Effect == "Deny"])])
    error_message = "The policies of buckets allow nothing."
  }
}

run "unfinished_uploads_end" {
  command = plan

  variables {
    abort_uploads_days = 3
  }

  assert {
    condition     = alltrue([for bucket in ["lake", "artifacts"] : one([for rule in aws_s3_bucket_lifecycle_configuration.this[bucket].rule : rule.abort_incomplete_multipart_upload[0].days_after_initiation if rule.id == "abort-unfinished-uploads" && rule.status == "Enabled"]) == 3])
    error_message = "Unfinished uploads end after the days that were said."
  }
}

run "the_spool_expires_and_nothing_else_of_the_lake" {
  command = plan

  variables {
    spool_expiration_days = 5
    lake_prefix           = "some/lake"
    lake_toml             = "[lake]\nurl = \"s3://tests-lake/some/lake\"\n[cluster]\nlisten = \"0.0.0.0:50051\"\n"
  }

  assert {
    condition     = one([for rule in aws_s3_bucket_lifecycle_configuration.this["lake"].rule : rule.expiration[0].days if rule.id == "expire-spool" && rule.status == "Enabled"]) == 5
    error_message = "The spool expires after the days that were said."
  }

  assert {
    condition     = one([for rule in aws_s3_bucket_lifecycle_configuration.this["lake"].rule : rule.filter[0].prefix if rule.id == "expire-spool" && rule.status == "Enabled"]) == "some/lake/_lake/spool/"
    error_message = "Only the spool."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this["lake"].rule[*].id == tolist(["abort-unfinished-uploads", "expire-old-versions", "expire-spool"])
    error_message = "No other rule deletes current objects of the lake."
  }
}

run "logs_expire" {
  command = plan

  assert {
    condition     = one([for rule in aws_s3_bucket_lifecycle_configuration.this["artifacts"].rule : rule.expiration[0].days if rule.id == "expire-logs" && rule.status == "Enabled"]) == 30 && one([for rule in aws_s3_bucket_lifecycle_configuration.this["artifacts"].rule : rule.filter[0].prefix if rule.id == "expire-logs" && rule.status == "Enabled"]) == "logs/"
    error_message = "Logs expire, and releases do not."
  }
}

run "what_vacuum_deletes_can_be_had_back_for_a_week" {
  command = plan

  assert {
    condition     = alltrue([for bucket in aws_s3_bucket_versioning.this : bucket.versioning_configuration[0].status == "Enabled"])
    error_message = "Both buckets keep versions."
  }

  assert {
    condition     = one([for rule in aws_s3_bucket_lifecycle_configuration.this["lake"].rule : rule.noncurrent_version_expiration[0].noncurrent_days if rule.id == "expire-old-versions" && rule.status == "Enabled"]) == 7
    error_message = "Old versions stay for a week."
  }
}

run "a_bucket_that_exists_is_left_alone" {
  command = plan

  variables {
    create_lake_bucket = false
  }

  assert {
    condition     = keys(aws_s3_bucket.this) == ["artifacts"] && keys(aws_s3_bucket_policy.this) == ["artifacts"] && keys(aws_s3_bucket_lifecycle_configuration.this) == ["artifacts"]
    error_message = "Only the artifacts' bucket is made."
  }
}

run "a_given_key_is_used_and_none_made" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/99999999-2222-3333-4444-555555555555"
  }

  assert {
    condition     = length(aws_kms_key.this) == 0 && output.kms_key_arn == var.kms_key_arn
    error_message = "No key is made."
  }

  assert {
    condition     = alltrue([for bucket in aws_s3_bucket_server_side_encryption_configuration.this : alltrue([for rule in bucket.rule : rule.apply_server_side_encryption_by_default[0].kms_master_key_id == var.kms_key_arn])])
    error_message = "Buckets use the given one."
  }
}

run "the_lake_survives_a_destroy_unless_told" {
  command = plan

  assert {
    condition     = alltrue([for bucket in aws_s3_bucket.this : !bucket.force_destroy])
    error_message = "A bucket with objects in it is not deleted."
  }
}

run "everything_has_tags" {
  command = plan

  assert {
    condition     = alltrue([for made in concat(values(aws_s3_bucket.this), values(aws_s3_object.project), values(aws_ssm_parameter.certificate), [aws_s3_object.release, aws_s3_object.bootstrap, aws_s3_object.lake_toml, aws_kms_key.this[0], aws_iam_role.vacuum]) : made.tags["Environment"] == "tests" && made.tags["Project"] == "lakewright" && made.tags["Deployment"] == "tests"])
    error_message = "Buckets, objects, parameters, key and role have the tags."
  }
}

run "machines_install_what_was_published" {
  command = plan

  assert {
    condition     = contains(output.machines.arguments.worker, var.release_sha256) && contains(output.machines.arguments.worker, "s3://tests-artifacts-123456789012-us-east-1/releases/lakewright-0.0.0-x86_64-linux.tar.gz")
    error_message = "The arguments name the release and its checksum."
  }

  assert {
    condition     = output.machines.bootstrap.sha256 == filesha256(var.bootstrap_file)
    error_message = "The script's checksum is pinned too."
  }

  assert {
    condition     = contains(output.machines.arguments.coordinator, "s3://tests-artifacts-123456789012-us-east-1/${output.machines.project_prefix}/") && !contains(output.machines.arguments.worker, "--project")
    error_message = "Only the coordinator gets the project."
  }

  assert {
    condition     = keys(aws_s3_object.project) == ["models/one.sql"]
    error_message = "The models are there."
  }
}

run "a_project_lies_under_its_hash" {
  command = plan

  assert {
    condition     = alltrue([for object in concat(values(aws_s3_object.project), [aws_s3_object.lake_toml]) : startswith(object.key, "${output.machines.project_prefix}/")]) && length(aws_s3_object.project) > 0
    error_message = "All of it."
  }

  assert {
    condition     = contains(output.machines.arguments.coordinator, "s3://${aws_s3_bucket.this["artifacts"].bucket}/${output.machines.project_prefix}/")
    error_message = "And the coordinator is told so."
  }
}

run "another_lake_toml_is_another_project" {
  command = plan

  variables {
    lake_toml = "[lake]\nurl = \"s3://tests-lake/lake\"\n[cluster]\nlisten = \"0.0.0.0:50051\"\nmin_workers = 2\n"
  }

  assert {
    condition     = output.machines.project_prefix != run.a_project_lies_under_its_hash.machines.project_prefix
    error_message = "New machines take it."
  }
}

run "another_model_is_another_project" {
  command = plan

  variables {
    project_directory = "../../.."
  }

  assert {
    condition     = output.machines.project_prefix != run.a_project_lies_under_its_hash.machines.project_prefix
    error_message = "New machines take it."
  }
}

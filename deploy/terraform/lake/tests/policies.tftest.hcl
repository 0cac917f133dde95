# Who may do what: a worker writes data, only the coordinator commits, only vacuum deletes.

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

run "no_policy_has_a_star_for_actions_or_for_all_resources" {
  command = plan

  assert {
    condition     = alltrue([for statement in flatten(concat([for name in ["worker", "coordinator", "install_worker", "install_coordinator"] : jsondecode(output.machines.policies[name]).Statement], [jsondecode(aws_iam_role_policy.vacuum.policy).Statement])) : alltrue([for action in statement.Action : !strcontains(action, "*")]) && !contains(statement.Resource, "*")])
    error_message = "Actions are written out, and resources named."
  }
}

run "a_worker_never_commits" {
  command = plan

  assert {
    condition     = one([for statement in jsondecode(output.machines.policies.worker).Statement : statement if statement.Effect == "Deny" && contains(statement.Action, "s3:PutObject")]).Resource == ["arn:aws:s3:::tests-lake/lake/_lake/manifest/*", "arn:aws:s3:::tests-lake/lake/_lake/consistent/*", "arn:aws:s3:::tests-lake/lake/_lake/ledger/*", "arn:aws:s3:::tests-lake/lake/*/_delta_log/*", "arn:aws:s3:::tests-lake/lake/*/_symlink_format_manifest/*"]
    error_message = "Manifests, ledgers, Delta logs and lists of files are denied to workers."
  }

  assert {
    condition     = length([for statement in jsondecode(output.machines.policies.coordinator).Statement : statement if statement.Effect == "Deny"]) == 0
    error_message = "The coordinator may."
  }
}

run "only_vacuum_deletes" {
  command = plan

  assert {
    condition     = alltrue([for statement in flatten([for name in ["worker", "coordinator", "install_worker", "install_coordinator"] : jsondecode(output.machines.policies[name]).Statement]) : statement.Effect == "Deny" || length([for action in statement.Action : action if startswith(action, "s3:Delete")]) == 0])
    error_message = "Neither workers nor the coordinator delete."
  }

  assert {
    condition     = anytrue([for statement in jsondecode(aws_iam_role_policy.vacuum.policy).Statement : contains(statement.Action, "s3:DeleteObject") && statement.Resource == ["arn:aws:s3:::tests-lake/lake/*"]])
    error_message = "vacuum deletes, and only in the lake."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.vacuum.policy).Statement : !contains(statement.Action, "s3:PutObject")])
    error_message = "vacuum writes nothing."
  }
}

run "sources_are_only_read" {
  command = plan

  assert {
    condition     = alltrue([for statement in flatten([for name in ["worker", "coordinator", "install_worker", "install_coordinator"] : jsondecode(output.machines.policies[name]).Statement]) : !anytrue([for resource in statement.Resource : startswith(resource, "arn:aws:s3:::tests-source") || startswith(resource, "arn:aws:s3:::tests-lake/data")]) || alltrue([for action in statement.Action : contains(["s3:GetObject", "s3:ListBucket"], action)])])
    error_message = "Nothing writes to a source."
  }

  assert {
    condition     = one([for statement in jsondecode(output.machines.policies.worker).Statement : statement.Resource if statement.Sid == "ReadSources"]) == ["arn:aws:s3:::tests-source/exports/*", "arn:aws:s3:::tests-lake/data/*"]
    error_message = "Exactly the sources are read."
  }

  assert {
    condition     = one([for statement in jsondecode(output.machines.policies.worker).Statement : statement.Condition.StringLikeIfExists["s3:prefix"] if statement.Action == ["s3:ListBucket"] && statement.Resource == ["arn:aws:s3:::tests-source"]]) == ["exports", "exports/*"]
    error_message = "Exactly their prefixes are listed."
  }
}

run "each_role_reads_its_own_key" {
  command = plan

  assert {
    condition     = alltrue([for role in ["worker", "coordinator"] : one([for statement in jsondecode(output.machines.policies["install_${role}"]).Statement : statement.Resource if statement.Action == ["ssm:GetParameters"]]) == [for name in ["ca", "${role}.cert", "${role}.key"] : "arn:aws:ssm:us-east-1:123456789012:parameter/tests/certificates/${name}"]])
    error_message = "A role reads no other key than its own."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(output.machines.policies.install_worker).Statement : alltrue([for resource in statement.Resource : !strcontains(resource, "/project/")])])
    error_message = "A worker does not read the project."
  }
}

run "the_key_is_used_through_s3_and_ssm_only" {
  command = plan

  variables {
    source_kms_key_arns = ["arn:aws:kms:us-east-1:210987654321:key/99999999-2222-3333-4444-555555555555"]
  }

  assert {
    condition     = alltrue([for statement in flatten([for name in ["worker", "coordinator", "install_worker", "install_coordinator"] : jsondecode(output.machines.policies[name]).Statement]) : !anytrue([for action in statement.Action : startswith(action, "kms:")]) || alltrue([for service in try(statement.Condition.StringEquals["kms:ViaService"], ["any"]) : contains(["s3.us-east-1.amazonaws.com", "ssm.us-east-1.amazonaws.com"], service)])])
    error_message = "The key is not used directly."
  }

  assert {
    condition     = anytrue([for statement in jsondecode(output.machines.policies.worker).Statement : jsonencode(statement.Resource) == jsonencode(var.source_kms_key_arns) && statement.Action == ["kms:Decrypt"]])
    error_message = "A source's key decrypts only."
  }
}

run "without_a_database_nobody_touches_the_catalog" {
  command = plan

  assert {
    condition     = !strcontains(jsonencode(output.machines.policies), "glue:")
    error_message = "No rights on Glue."
  }
}

run "the_coordinator_fills_its_database_and_no_other" {
  command = plan

  variables {
    glue_database = "music"
  }

  assert {
    condition     = one([for statement in jsondecode(output.machines.policies.coordinator).Statement : statement.Resource if contains(statement.Action, "glue:UpdateTable")]) == ["arn:aws:glue:us-east-1:123456789012:catalog", "arn:aws:glue:us-east-1:123456789012:database/music", "arn:aws:glue:us-east-1:123456789012:table/music/*", "arn:aws:glue:us-east-1:123456789012:database/music_symlinks", "arn:aws:glue:us-east-1:123456789012:table/music_symlinks/*"]
    error_message = "Its own databases."
  }

  assert {
    condition     = !strcontains(output.machines.policies.worker, "glue:")
    error_message = "Workers have no rights on Glue."
  }
}

run "vacuum_is_taken_by_whom_was_said" {
  command = plan

  variables {
    vacuum_principal_arns = ["arn:aws:iam::123456789012:role/engineers"]
  }

  assert {
    condition     = jsonencode(jsondecode(aws_iam_role.vacuum.assume_role_policy).Statement[*].Principal.AWS) == jsonencode([var.vacuum_principal_arns])
    error_message = "Nobody else takes the role."
  }
}

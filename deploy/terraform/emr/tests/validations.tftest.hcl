# Every validation of this module rejects a bad value.

mock_provider "aws" {
  source          = "../mocks"
  override_during = plan
}

variables {
  lake = {
    name              = "tests"
    tags              = { Project = "lakewright", Environment = "tests" }
    architecture      = "x86_64"
    kms_key_arn       = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    artifacts_bucket  = "tests-artifacts"
    project_prefix    = "project/1"
    certificates_hash = "0123456789ab"
    glue_database     = null
    bootstrap         = { url = "s3://tests-artifacts/bootstrap/bootstrap-1.sh", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
    arguments         = { worker = ["--certificates", "ssm:/it's"], coordinator = ["--project", "s3://tests-artifacts/project/1/"] }
    policies          = { worker = "{}", coordinator = "{}", install_worker = "{}", install_coordinator = "{}" }
  }
  vpc_id                      = "vpc-0a1b2c3d"
  subnet_ids                  = ["subnet-0a", "subnet-0b"]
  endpoint_security_group_ids = ["sg-0e"]
}

run "a_network_is_named_by_its_id" {
  command = plan

  variables {
    vpc_id = "main"
  }

  expect_failures = [var.vpc_id]
}

run "there_is_a_subnet" {
  command = plan

  variables {
    subnet_ids = []
  }

  expect_failures = [var.subnet_ids]
}

run "a_subnet_is_named_by_its_id" {
  command = plan

  variables {
    subnet_ids = ["private"]
  }

  expect_failures = [var.subnet_ids]
}

run "a_group_is_named_by_its_id" {
  command = plan

  variables {
    endpoint_security_group_ids = ["default"]
  }

  expect_failures = [var.endpoint_security_group_ids]
}

run "addresses_have_a_length" {
  command = plan

  variables {
    https_egress_cidrs = ["10.0.0.0"]
  }

  expect_failures = [var.https_egress_cidrs]
}

run "a_release_runs_on_amazon_linux_2023" {
  command = plan

  variables {
    release_label = "emr-6.15.0"
  }

  expect_failures = [var.release_label]
}

run "emr_ends_no_cluster_within_a_minute" {
  command = plan

  variables {
    idle_seconds = 30
  }

  expect_failures = [var.idle_seconds]
}

run "the_primary_is_of_the_architecture" {
  command = plan

  variables {
    primary_instance_type = "m7g.xlarge"
  }

  expect_failures = [var.primary_instance_type]
}

run "emr_takes_five_types_at_most" {
  command = plan

  variables {
    worker_instance_types = ["m7i.xlarge", "m7a.xlarge", "m6i.xlarge", "m6a.xlarge", "m5.xlarge", "m5a.xlarge"]
  }

  expect_failures = [var.worker_instance_types]
}

run "there_is_a_core_node" {
  command = plan

  variables {
    core = { on_demand = 0, spot = 0 }
  }

  expect_failures = [var.core]
}

run "task_nodes_are_not_fewer_than_none" {
  command = plan

  variables {
    task = { on_demand = -1, spot = 2 }
  }

  expect_failures = [var.task]
}

run "emr_waits_for_spot_for_five_minutes" {
  command = plan

  variables {
    spot_timeout_minutes = 1
  }

  expect_failures = [var.spot_timeout_minutes]
}

run "emr_has_a_least_root_volume" {
  command = plan

  variables {
    root_volume_gib = 8
  }

  expect_failures = [var.root_volume_gib]
}

run "a_data_volume_is_not_tiny" {
  command = plan

  variables {
    data_volume_gib = 1
  }

  expect_failures = [var.data_volume_gib]
}

run "memory_has_a_unit" {
  command = plan

  variables {
    memory = "12"
  }

  expect_failures = [var.memory]
}

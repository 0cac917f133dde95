# Who may speak to whom, and as whom.

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

run "only_workers_reach_the_coordinator_and_only_its_port" {
  command = plan

  assert {
    condition     = aws_vpc_security_group_ingress_rule.coordinator_from_workers.from_port == 50051 && aws_vpc_security_group_ingress_rule.coordinator_from_workers.to_port == 50051 && aws_vpc_security_group_ingress_rule.coordinator_from_workers.ip_protocol == "tcp"
    error_message = "The port of tasks."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.coordinator_from_workers.referenced_security_group_id == aws_security_group.worker.id && aws_vpc_security_group_ingress_rule.coordinator_from_workers.cidr_ipv4 == null
    error_message = "By reference."
  }
}

run "inbound_rules_name_groups_and_no_addresses" {
  command = plan

  assert {
    condition     = alltrue([for rule in concat([aws_vpc_security_group_ingress_rule.coordinator_from_workers], values(aws_vpc_security_group_ingress_rule.endpoints)) : rule.cidr_ipv4 == null && rule.cidr_ipv6 == null && rule.prefix_list_id == null && rule.referenced_security_group_id != null])
    error_message = "No 0.0.0.0/0, nor any other address."
  }

  assert {
    condition     = alltrue([for rule in values(aws_vpc_security_group_ingress_rule.endpoints) : rule.security_group_id == "sg-0e" && rule.from_port == 443 && rule.to_port == 443])
    error_message = "Beside the coordinator's, only the endpoints' group gets inbound rules."
  }
}

run "outbound_rules_name_the_coordinator_s3_and_the_endpoints" {
  command = plan

  assert {
    condition     = alltrue([for rule in concat([aws_vpc_security_group_egress_rule.workers_to_coordinator], values(aws_vpc_security_group_egress_rule.s3), values(aws_vpc_security_group_egress_rule.endpoints)) : rule.cidr_ipv4 == null && rule.cidr_ipv6 == null])
    error_message = "No addresses."
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.https) == 0
    error_message = "Nothing else, unless said."
  }
}

run "a_nat_is_reached_by_https_where_said" {
  command = plan

  variables {
    endpoint_security_group_ids = []
    https_egress_cidrs          = ["10.0.0.0/8"]
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.https) == 2 && alltrue([for rule in aws_vpc_security_group_egress_rule.https : rule.cidr_ipv4 == "10.0.0.0/8" && rule.from_port == 443 && rule.to_port == 443])
    error_message = "HTTPS to these addresses."
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.endpoints) == 0
    error_message = "And no endpoints."
  }
}

run "each_kind_of_machine_has_its_own_role" {
  command = plan

  variables {
    lake = merge(var.lake, { policies = { worker = "{\"for_\":\"worker\"}", coordinator = "{\"for_\":\"coordinator\"}", install_worker = "{\"install_for\":\"worker\"}", install_coordinator = "{\"install_for\":\"coordinator\"}" } })
  }

  assert {
    condition     = aws_iam_instance_profile.this["worker"].role == "tests-worker" && aws_iam_instance_profile.this["coordinator"].role == "tests-coordinator"
    error_message = "Two roles."
  }

  assert {
    condition     = alltrue([for role in aws_iam_role.this : jsondecode(role.assume_role_policy).Statement[*].Principal == [{ Service = "ec2.amazonaws.com" }]])
    error_message = "Only machines take them."
  }

  assert {
    condition     = alltrue([for role in ["worker", "coordinator"] : aws_iam_role_policy.lake[role].policy == jsonencode({ for_ = role }) && aws_iam_role_policy.install[role].policy == jsonencode({ install_for = role })])
    error_message = "Each has its own policies."
  }
}

run "session_manager_gets_no_parameters" {
  command = plan

  assert {
    condition     = alltrue([for policy in aws_iam_role_policy.session_manager : alltrue([for action in jsondecode(policy.policy).Statement[0].Action : action == "ssm:UpdateInstanceInformation" || startswith(action, "ssmmessages:")])])
    error_message = "It opens channels and reads nothing."
  }

  assert {
    condition     = length(aws_iam_role_policy.session_manager) == 2
    error_message = "Both kinds of machines."
  }
}

run "session_manager_can_be_off" {
  command = plan

  variables {
    session_manager = false
  }

  assert {
    condition     = length(aws_iam_role_policy.session_manager) == 0
    error_message = "No rights for it."
  }
}

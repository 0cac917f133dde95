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

run "inbound_rules_name_groups_and_no_addresses" {
  command = plan

  assert {
    condition     = alltrue([for rule in concat(values(aws_vpc_security_group_ingress_rule.this), values(aws_vpc_security_group_ingress_rule.endpoints)) : rule.cidr_ipv4 == null && rule.cidr_ipv6 == null && rule.prefix_list_id == null && rule.referenced_security_group_id != null])
    error_message = "No 0.0.0.0/0, nor any other address."
  }
}

run "only_workers_reach_the_coordinators_port_by_our_groups" {
  command = plan

  assert {
    condition     = aws_vpc_security_group_ingress_rule.this["tasks"].from_port == 50051 && aws_vpc_security_group_ingress_rule.this["tasks"].to_port == 50051
    error_message = "The port of tasks."
  }

  assert {
    condition     = length([for name, connection in local.connections : name if connection.to == "coordinator"]) == 1 && length([for name, connection in local.connections : name if connection.to == "worker"]) == 0 && local.connections.tasks.from == "worker"
    error_message = "Nothing else reaches the coordinator's group, and nothing the workers'."
  }
}

run "our_groups_are_beside_those_of_emr" {
  command = plan

  assert {
    condition     = aws_emr_cluster.this.ec2_attributes[0].additional_master_security_groups == aws_security_group.coordinator.id && aws_emr_cluster.this.ec2_attributes[0].additional_slave_security_groups == aws_security_group.worker.id
    error_message = "Ours are additional."
  }

  assert {
    condition     = aws_emr_cluster.this.ec2_attributes[0].emr_managed_master_security_group == aws_security_group.emr_primary.id && aws_emr_cluster.this.ec2_attributes[0].emr_managed_slave_security_group == aws_security_group.emr_nodes.id && aws_emr_cluster.this.ec2_attributes[0].service_access_security_group == aws_security_group.emr_service.id
    error_message = "EMR's are named."
  }
}

run "no_policy_has_a_star_for_actions" {
  command = plan

  assert {
    condition     = alltrue([for statement in flatten([for policy in [aws_iam_role_policy.node["node"].policy, aws_iam_role_policy.node["session-manager"].policy, aws_iam_role_policy.service.policy] : jsondecode(policy).Statement]) : alltrue([for action in statement.Action : !strcontains(action, "*")])])
    error_message = "Actions are written out."
  }

  assert {
    condition     = alltrue([for statement in flatten([for policy in [aws_iam_role_policy.node["node"].policy, aws_iam_role_policy.service.policy] : jsondecode(policy).Statement]) : !contains(statement.Resource, "*")])
    error_message = "Resources are named."
  }
}

run "nodes_are_workers_and_the_step_takes_the_coordinators_role" {
  command = plan

  variables {
    lake = merge(var.lake, { policies = { worker = "{\"is\":\"worker\"}", coordinator = "{\"is\":\"coordinator\"}", install_worker = "{}", install_coordinator = "{}" } })
  }

  assert {
    condition     = aws_iam_role_policy.node["lake"].policy == "{\"is\":\"worker\"}" && aws_iam_role_policy.coordinator.policy == "{\"is\":\"coordinator\"}"
    error_message = "A node may what a worker may."
  }

  assert {
    condition     = jsondecode(aws_iam_role.coordinator.assume_role_policy).Statement[*].Principal == [{ AWS = aws_iam_role.node.arn }]
    error_message = "Only nodes take the coordinator's role."
  }

  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.node["node"].policy).Statement : statement.Resource if contains(statement.Action, "sts:AssumeRole")]) == ["arn:aws:iam::123456789012:role/tests-emr-coordinator"]
    error_message = "And they take no other."
  }
}

run "emr_makes_the_role_for_spot_and_no_other" {
  command = plan

  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.service.policy).Statement : statement if contains(statement.Action, "iam:CreateServiceLinkedRole")]).Condition == { StringEquals = { "iam:AWSServiceName" = "spot.amazonaws.com" } }
    error_message = "An account that never had spot instances gets it."
  }
}

run "emr_acts_on_what_is_tagged_for_it_and_passes_one_role" {
  command = plan

  assert {
    condition     = aws_iam_role_policy_attachment.service.policy_arn == "arn:aws:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2"
    error_message = "The second version of AWS's policy."
  }

  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.service.policy).Statement : statement.Resource if contains(statement.Action, "iam:PassRole")]) == [aws_iam_role.node.arn]
    error_message = "It passes the nodes' role."
  }

  assert {
    condition     = jsondecode(aws_iam_role.service.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "For this account alone."
  }
}

run "session_manager_can_be_off" {
  command = plan

  variables {
    session_manager = false
  }

  assert {
    condition     = !contains(keys(aws_iam_role_policy.node), "session-manager")
    error_message = "No rights for it."
  }
}

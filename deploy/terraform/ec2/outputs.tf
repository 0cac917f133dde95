output "coordinator_instance_id" {
  description = "The coordinator's machine; `aws ssm start-session --target` opens a shell on it."
  value       = aws_instance.coordinator.id
}

output "coordinator_address" {
  description = "Where workers connect."
  value       = "${aws_network_interface.coordinator.private_ip}:${local.port}"
}

output "workers_group" {
  description = "Auto Scaling group of the workers."
  value       = aws_autoscaling_group.workers.name
}

output "role_arns" {
  description = "Roles of the coordinator and of the workers, for the policies of buckets in other accounts."
  value       = { for role in local.roles : role => aws_iam_role.this[role].arn }
}

output "coordinator_instance_id" {
  description = "ID of the coordinator's instance; `aws ssm start-session --target` opens a shell on it."
  value       = aws_instance.coordinator.id
}

output "coordinator_address" {
  description = "Address that workers connect to."
  value       = "${aws_network_interface.coordinator.private_ip}:${local.port}"
}

output "workers_group" {
  description = "Name of the workers' Auto Scaling group."
  value       = aws_autoscaling_group.workers.name
}

output "role_arns" {
  description = "ARNs of the roles of coordinator and workers, for policies of buckets in other accounts."
  value       = { for role in local.roles : role => aws_iam_role.this[role].arn }
}

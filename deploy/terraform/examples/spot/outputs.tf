output "lake_url" {
  description = "URL of the lake."
  value       = module.lake.lake_url
}

output "data_url" {
  description = "Where the JSON goes: `aws s3 cp --recursive data URL`."
  value       = "s3://${var.bucket}/data/"
}

output "shell" {
  description = "Opens a shell on the coordinator."
  value       = "aws ssm start-session --region ${var.region} --target ${module.machines.coordinator_instance_id}"
}

output "vacuum_role_arn" {
  description = "Role that `coordinator vacuum --delete` takes."
  value       = module.lake.vacuum_role_arn
}

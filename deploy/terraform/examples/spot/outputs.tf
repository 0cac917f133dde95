output "project_url" {
  description = "URL of lake.toml and the models as the machines have them. With a copy, `coordinator tables` works from any machine."
  value       = module.lake.project_url
}

output "lake_url" {
  description = "URL of the lake."
  value       = module.lake.lake_url
}

output "data_url" {
  description = "URL for the JSON: `aws s3 cp --recursive data URL`."
  value       = "s3://${var.bucket}/data/"
}

output "shell" {
  description = "Command that opens a shell on the coordinator."
  value       = "aws ssm start-session --region ${var.region} --target ${module.machines.coordinator_instance_id}"
}

output "vacuum_role_arn" {
  description = "ARN of the role that `coordinator vacuum --delete` assumes."
  value       = module.lake.vacuum_role_arn
}

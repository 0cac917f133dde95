output "project_url" {
  description = "lake.toml and the models as the machines have them; with a copy, `coordinator tables` looks at the lake from anywhere."
  value       = module.lake.project_url
}

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

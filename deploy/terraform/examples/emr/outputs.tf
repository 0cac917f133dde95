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

output "vacuum_role_arn" {
  description = "ARN of the role that `coordinator vacuum --delete` assumes."
  value       = module.lake.vacuum_role_arn
}

output "steps" {
  description = "Command that shows the state of the run."
  value       = "aws emr list-steps --region ${var.region} --cluster-id ${module.cluster.cluster_id} --query Steps[].[Name,Status.State] --output text"
}

output "cluster_id" {
  description = "ID of the cluster."
  value       = module.cluster.cluster_id
}

output "log_url" {
  description = "URL of the logs of the cluster and its step."
  value       = module.cluster.log_url
}

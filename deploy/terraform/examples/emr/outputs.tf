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

output "vacuum_role_arn" {
  description = "Role that `coordinator vacuum --delete` takes."
  value       = module.lake.vacuum_role_arn
}

output "steps" {
  description = "Tells how the run does."
  value       = "aws emr list-steps --region ${var.region} --cluster-id ${module.cluster.cluster_id} --query Steps[].[Name,Status.State] --output text"
}

output "cluster_id" {
  description = "The cluster."
  value       = module.cluster.cluster_id
}

output "log_url" {
  description = "Where the logs of the cluster and its step are."
  value       = module.cluster.log_url
}

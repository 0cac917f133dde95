output "project_url" {
  description = "lake.toml and the models as the machines have them; with a copy, `coordinator tables` looks at the lake from anywhere."
  value       = module.lake.project_url
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
  description = "Where the logs of the cluster and its steps are."
  value       = module.cluster.log_url
}

output "role_arns" {
  description = "Roles that the policies of the existing buckets and of the key let in."
  value       = module.cluster.role_arns
}

output "project_url" {
  description = "URL of lake.toml and the models as the machines have them. With a copy, `coordinator tables` works from any machine."
  value       = module.lake.project_url
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
  description = "URL of the logs of the cluster and its steps."
  value       = module.cluster.log_url
}

output "role_arns" {
  description = "ARNs of roles that the policies of the existing buckets and of the key must allow."
  value       = module.cluster.role_arns
}

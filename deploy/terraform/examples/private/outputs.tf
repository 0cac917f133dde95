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

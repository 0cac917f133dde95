output "lake_url" {
  description = "URL of the lake."
  value       = module.lake.lake_url
}

output "data_url" {
  description = "Where the JSON goes: `aws s3 cp --recursive data URL`."
  value       = "s3://${var.bucket}/data/"
}

output "cluster_id" {
  description = "The cluster."
  value       = module.cluster.cluster_id
}

output "log_url" {
  description = "Where the logs of the cluster and its step are."
  value       = module.cluster.log_url
}

# The example whole, with a mocked AWS.

mock_provider "aws" {
  source = "../../mocks"
}

mock_provider "tls" {}

variables {
  bucket         = "company-lake"
  release_file   = "../../fixtures/lakewright-0.0.0-x86_64-linux.tar.gz"
  release_sha256 = "61d60d23d3a2011c5292c873faf3963c6db58b5a0c4ea6a6b53f68a3a205bf2b"
}

run "whole" {
  command = apply
}

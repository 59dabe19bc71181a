# A deployment in some environments only, by `count` on the module. The provider is a mock.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  zip = "versions.tf"
}

run "without_a_deployment_nothing_is_planned" {
  command = plan
  module {
    source = "./tests/optional"
  }
  variables {
    create = false
  }
  assert {
    condition     = length(module.towpath) == 0
    error_message = "The caller has nothing but the module, and that has no instance."
  }
  assert {
    condition     = output.towpath == null && output.hook_urls == null
    error_message = "Outputs are null."
  }
}

run "and_with_one_everything" {
  module {
    source = "./tests/optional"
  }
  variables {
    create = true
  }
  assert {
    condition     = output.hook_urls == { crm = "https://new.example.com/hooks/crm" } && output.towpath.host_function_name == "towpath-host"
    error_message = "Outputs are those of the deployment."
  }
}

"""The safety net by itself: what everybody has forgotten is deleted at its expiry."""

import time

from deploy.aws import resources
from deploy.aws.clients import Clients
from deploy.aws.resources import KINDS
from deploy.spec import api_requests
from deploy.spec.resolve import endpoint_specs
from tests.deploy.harness import QUICK, Account, plan


def test_a_forgotten_endpoint_with_components_is_deleted_by_its_schedules(
    account: Account, clients: Clients
) -> None:
    endpoint = {
        "instance_type": "ml.g5.xlarge",
        "scheduler_role": "local-scheduler",
        "components": [{"name": "one", "accelerators": 1}],
        "max_lifetime": "4s",
    }
    spec = endpoint_specs(plan(endpoint=endpoint), "forgotten", clients)[0]
    model = api_requests.create_model(spec, spec.models[0], None)
    resources.create(clients, KINDS["model"], model)
    resources.create(clients, KINDS["endpoint-config"], api_requests.create_endpoint_config(spec))
    resources.create(clients, KINDS["endpoint"], api_requests.create_endpoint(spec))
    serving = clients.sagemaker.describe_endpoint
    while serving(EndpointName=spec.name)["EndpointStatus"] != "InService":
        time.sleep(QUICK.first_pause_s)
    component = api_requests.create_component(spec, spec.components[0])
    resources.create(clients, KINDS["inference-component"], component)
    # Its life counts from here: a slow machine may need all of it to come so far.
    for request in api_requests.create_schedules(spec.starting_at(time.time()), "aws"):
        resources.create(clients, KINDS["schedule"], request)
    end = time.monotonic() + 60
    while len(account.left()) > 2 and time.monotonic() < end:
        time.sleep(QUICK.longest_pause_s)
    assert account.left() == [f"endpoint_configs/{spec.name}", f"models/{spec.name}"]

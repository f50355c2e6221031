"""A locustfile as a user writes it, for `plain_locust`."""

from locust import task

from locustfiles.user import SageMakerUser


class OwnUser(SageMakerUser):
    """One prompt after the other."""

    schema = "tgi"

    @task
    def ask(self) -> None:
        """One invocation."""
        self.invoke("Tell me of the sea. " * 8, name="truth", parameters={"max_new_tokens": 40})

"""A/B: two endpoints get the same prompts in the same run, nine users of A for each of B."""

from locust import task

from locustfiles.user import SageMakerUser

PROMPT = "Explain the tides to a child."


class Base(SageMakerUser):
    """What both sides have in common."""

    abstract = True
    parameters = {"max_tokens": 100}

    @task
    def explain(self) -> None:
        """One invocation; its entry in Locust's statistics is named after the endpoint."""
        self.invoke(PROMPT)


class UserOfA(Base):
    """The endpoint of today."""

    endpoint = "llama-8b-today"
    weight = 9


class UserOfB(Base):
    """The candidate."""

    endpoint = "llama-8b-candidate"
    weight = 1

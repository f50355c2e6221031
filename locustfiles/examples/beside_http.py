"""An existing HttpUser beside a SageMakerUser: the website and the model that it calls, loaded together."""

from locust import HttpUser, between, task

from locustfiles.user import SageMakerUser


class Visitor(HttpUser):
    """Your own user class, unchanged; it needs ``--host``."""

    weight = 10
    wait_time = between(1, 3)

    @task
    def front_page(self) -> None:
        """A page."""
        self.client.post("/", json={}, name="front page")


class Classifier(SageMakerUser):
    """A model that is no LLM: an image goes in, JSON comes out."""

    weight = 1
    wait_time = between(1, 3)

    @task
    def classify(self) -> None:
        """One image."""
        answer = self.invoke(body=b"\xff\xd8 your JPEG", content_type="image/jpeg", name="classify")
        if answer:
            answer.json()

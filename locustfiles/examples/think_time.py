"""Think times as people have them: log-normal, with a median of 8 s and a long tail."""

from locust import task

import math
import random

from locustfiles.user import SageMakerUser


class Person(SageMakerUser):
    """Asks something short most of the time, and now and then something long."""

    def wait_time(self) -> float:
        """Seconds until the next task."""
        return min(120.0, random.lognormvariate(math.log(8), 0.9))

    @task(3)
    def short(self) -> None:
        """A short answer."""
        self.invoke("Name three seas.", name="short", parameters={"max_tokens": 20})

    @task(1)
    def long(self) -> None:
        """A long answer."""
        self.invoke("Tell a story of the sea.", name="long", parameters={"max_tokens": 500})

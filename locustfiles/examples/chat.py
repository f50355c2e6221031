"""A chat: each answer becomes part of the next turn, and a person reads before asking on."""

from locust import between, task

import gevent

from locustfiles.user import SageMakerUser

QUESTIONS = ("What is a tide?", "Why are there two a day?", "Summarize that in one sentence.")


class ChatUser(SageMakerUser):
    """Asks three questions, then begins another chat."""

    parameters = {"max_tokens": 200}
    wait_time = between(1, 5)

    @task
    def chat(self) -> None:
        """One conversation."""
        messages = [{"role": "system", "content": "You are a patient teacher."}]
        for turn, question in enumerate(QUESTIONS, 1):
            messages.append({"role": "user", "content": question})
            answer = self.invoke(messages=messages, name=f"chat, turn {turn}")
            if not answer:  # it is a failure in Locust's statistics already
                return
            messages.append(answer.message)
            gevent.sleep((answer.completion_tokens or 0) / 100)  # a quick reader

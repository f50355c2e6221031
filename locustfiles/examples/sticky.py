"""A chat in a stateful session: one instance of the endpoint serves all its turns."""

from locust import between, task

from locustfiles.user import SageMakerUser

QUESTIONS = ("What is a tide?", "Why are there two a day?")


class StickyUser(SageMakerUser):
    """Opens a session, asks two questions in it, and closes it."""

    parameters = {"max_tokens": 200}
    wait_time = between(1, 5)

    @task
    def chat(self) -> None:
        """One conversation."""
        opened = self.invoke(
            body={"requestType": "NEW_SESSION"}, session_id="NEW_SESSION", name="open session"
        )
        session = opened.new_session_id
        if session is None:  # the container opens no sessions
            return
        messages: list[dict[str, str]] = []
        for turn, question in enumerate(QUESTIONS, 1):
            messages.append({"role": "user", "content": question})
            answer = self.invoke(messages=messages, session_id=session, name=f"sticky chat, turn {turn}")
            messages.append(answer.message)
        self.invoke(body={"requestType": "CLOSE"}, session_id=session, name="close session")

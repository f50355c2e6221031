"""Retrieval-augmented generation: embed the question, then ask with the documents that were found."""

from locust import constant, task

from locustfiles.user import SageMakerUser

DOCUMENTS = ["The tides follow the moon. " * 200, "The sun raises tides too, half as high. " * 100]


class RagUser(SageMakerUser):
    """Two endpoints in one task: a small embedding model, and the LLM of ``--endpoint``."""

    wait_time = constant(1)
    parameters = {"max_tokens": 150}

    @task
    def ask(self) -> None:
        """One question."""
        question = "What makes the tides?"
        vector = self.invoke(body={"inputs": question}, name="embed", endpoint="my-embedding-model")
        if vector:
            found = DOCUMENTS[len(vector.content) % len(DOCUMENTS)]  # your vector store
            self.invoke(f"{found}\n\nAnswer from the text above: {question}", name="answer")

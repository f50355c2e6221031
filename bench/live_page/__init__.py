"""The page for watching a run live, from its checks to its report: one server for the whole run.

It is a server of its own in the process of `bench`, because a run is more than its loads: Locust is started
for each load and ends with it, while the page also shows the deployment, the deletion and the answer.
"""

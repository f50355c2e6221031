"""One invocation: connect, sign, send, read, time, parse. Knows neither master nor worker."""

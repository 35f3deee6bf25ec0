"""What a program needs to use Holdfast: calls, holds and live views.

Owns addresses, channels, deadlines, retries, what a refusal means to a caller, holding time and
following what changes; beneath ``cli`` the ``holdfast`` command. Decides nothing: every rule lives
in a service, and merging holds with free starts is all it computes.
"""

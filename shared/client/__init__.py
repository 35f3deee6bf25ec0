"""What a program needs to use Holdfast: calls that are typed, bounded and safe to repeat.

Owns addresses, channels, deadlines, retries and what a refusal means to a caller, and beneath
``cli`` the ``holdfast`` command. Decides nothing: every rule lives in a service.
"""

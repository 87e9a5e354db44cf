"""No archive from what another build was writing: read, then validate.

Before a build publishes, it makes sure that nothing it has read was being written by
another one. Where that cannot be shown, it is done once more, by itself.
"""

"""The strategies of each realm: their programs, their traffic and the fields their events carry."""

-- For errors that help: which database, which role, which schemas in sight.
select current_database() as database, current_user as role, current_setting('search_path') as search_path

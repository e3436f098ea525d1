-- What finds a row of sums is compared byte by byte: far cheaper than by a language's rules, and the order that
-- SQLite has.
alter table usage_hours alter column key_id type text collate "C", alter column service_id type text collate "C";
alter table usage_days alter column user_id type text collate "C", alter column service_id type text collate "C";
alter table usage_endpoints alter column key_id type text collate "C", alter column endpoint type text collate "C";
alter table usage_months alter column account_id type text collate "C";
-- A sum that grows stays on its page, so no index has to be told.
alter table usage_hours set (fillfactor = 80);
alter table usage_days set (fillfactor = 70);
alter table usage_endpoints set (fillfactor = 70);
alter table usage_months set (fillfactor = 50);

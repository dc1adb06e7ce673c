-- A transaction stays idle for too long, and the server says so before anything is asked.
SET idle_in_transaction_session_timeout = 1 \; BEGIN \; SELECT 'in time';
\! sleep 1
SELECT 'too late';
SELECT 'never sent';

-- Which of the lab's CAs a client certificate comes from; its age tells it only as well as the clock was right.
ALTER TABLE client_certificate ADD COLUMN issuer TEXT;

-- The name of a deployment without its document.
CREATE INDEX deployment_named ON deployment (id, name);

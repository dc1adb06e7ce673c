// What is in the demo's database: small enough to start at once, large enough that a DELETE without WHERE looks bad.

export const DEMO_SHOP = `
CREATE TABLE customers (
  id     int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  name   text NOT NULL,
  email  text NOT NULL UNIQUE,
  city   text NOT NULL,
  since  date NOT NULL
);
CREATE TABLE products (
  id     int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  name   text NOT NULL,
  price  numeric(8, 2) NOT NULL
);
CREATE TABLE orders (
  id          int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  customer_id int NOT NULL REFERENCES customers,
  product_id  int NOT NULL REFERENCES products,
  quantity    int NOT NULL,
  status      text NOT NULL CHECK (status IN ('open', 'paid', 'shipped', 'returned')),
  ordered_at  timestamptz NOT NULL
);
CREATE INDEX ON orders (customer_id);

INSERT INTO customers (name, email, city, since)
SELECT initcap(first) || ' ' || i, first || i || '@example.com',
       (ARRAY['Amsterdam', 'Berlin', 'Lisbon', 'Lyon', 'Oslo', 'Prague', 'Turin', 'Vienna'])[1 + i * 5 % 8],
       date '2024-01-01' + i * 3
FROM generate_series(1, 200) AS i,
     LATERAL (SELECT (ARRAY['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace', 'heidi'])[1 + i * 3 % 8] AS first);

INSERT INTO products (name, price) VALUES
  ('Teapot', 24.50), ('Kettle', 39.00), ('Mug', 8.90), ('Tray', 17.00), ('Green tea, 250 g', 12.40),
  ('Black tea, 250 g', 11.20), ('Oolong, 100 g', 14.80), ('Strainer', 6.50), ('Cup and saucer', 13.00),
  ('Tea towel', 7.20), ('Honey, 500 g', 9.60), ('Biscuits', 4.30);

INSERT INTO orders (customer_id, product_id, quantity, status, ordered_at)
SELECT 1 + i * 37 % 200, 1 + i * 7 % 12, 1 + i % 4,
       (ARRAY['open', 'paid', 'paid', 'shipped', 'shipped', 'shipped', 'shipped', 'returned'])[1 + i * 11 % 8],
       timestamptz '2026-01-01 08:00:00Z' + i * interval '3 hours 7 minutes'
FROM generate_series(1, 2000) AS i;
ANALYZE;
`;

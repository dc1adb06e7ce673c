# Three stages: compile with everything, collect what runs, and an image that holds only that.
FROM node:22-alpine AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM node:22-alpine AS libraries
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force

FROM node:22-alpine
ENV NODE_ENV=production
WORKDIR /app
# The log folder belongs to the user that writes it; a volume made from it inherits that.
RUN mkdir -p /etc/countersign /var/lib/countersign && chown node:node /var/lib/countersign
COPY --from=libraries /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
COPY rules ./rules
COPY schemas ./schemas
USER node
VOLUME /var/lib/countersign
EXPOSE 6432 8432
# The image of Node has no curl. `http.host` must be reachable inside the container; set another port in HEALTH_URL.
ENV HEALTH_URL=http://127.0.0.1:8432/healthz
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["node", "-e", "fetch(process.env.HEALTH_URL).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--enable-source-maps", "/app/dist/cli/main.js"]
CMD ["serve", "--config", "/etc/countersign/config.yaml"]
